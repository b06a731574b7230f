//! The library: filters, import through the system's dialog, rename, delete, and the choice in the chat.

use crate::dragging::Drag;
use crate::file_server::model;
use crate::harness::Desktop;
use crate::harness::chooser::Chooser;
use crate::harness::screen::Screen;
use crate::page::{CATALOGUE, MODEL, Offer, READY, TRANSFER, files_of, with_catalogue};
use crate::talk::{ANSWER, ENTER, ESCAPE, LONG};

#[tokio::test]
async fn the_filters_show_what_fits_and_the_search_what_is_named() {
    let url = |name: &str| format!("http://127.0.0.1:9/{name}.gguf");
    let small = Offer { size: Some(98_000_000), ..Offer::new("small", "Small one", url("small")) };
    let giant = Offer::new("giant", "Giant", url("giant"));
    let giant = Offer { parameters: 180_000_000_000, size: Some(110_000_000_000), ..giant };
    let desktop = Desktop::on_cpu(with_catalogue(&[small, giant])).await;
    desktop.open_models().await;
    desktop.wait_for("the catalogue", || async { desktop.count(CATALOGUE).await == 2 }).await;
    desktop.save_screenshot("models-page").await;

    desktop.click("[data-testid=filter-fit] label:nth-child(2)").await;
    desktop.wait_for("what runs here", || async { desktop.count(CATALOGUE).await == 1 }).await;
    desktop.wait_for_shown(CATALOGUE, "Small one").await;
    desktop.click("[data-testid=filter-place] label:nth-child(2)").await;
    desktop.wait_for("this machine alone", || async { desktop.count(CATALOGUE).await == 0 }).await;
    assert_eq!(desktop.shown_models().await, ["SmolLM2-135M-Instruct.Q4_1"]);
    desktop.click("[data-testid=reset-filters]").await;
    desktop.wait_for("everything", || async { desktop.count(CATALOGUE).await == 2 }).await;

    // The keyboard alone finds the search and leaves it.
    desktop.press(&[crate::talk::CONTROL, 'f']).await;
    desktop.write("giant").await;
    desktop
        .wait_for("the giant alone", || async {
            (desktop.count(CATALOGUE).await, desktop.count(MODEL).await) == (1, 0)
        })
        .await;
    desktop.write("zzz").await;
    desktop.wait_for_shown("[data-testid=models-found]", "No model matches").await;
    desktop.press(&[ESCAPE]).await;
    desktop.wait_for("everything", || async { desktop.count(CATALOGUE).await == 2 }).await;
}

#[tokio::test]
async fn a_file_is_imported_through_the_dialog_renamed_and_deleted() {
    let desktop = Desktop::on_cpu(with_catalogue(&[])).await;
    let data = desktop.surroundings().data().to_path_buf();
    let elsewhere = data.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("mine.gguf"), model(1)).unwrap();
    desktop.open_models().await;

    let chooser = Chooser::of(desktop.surroundings());
    desktop.click("[data-testid=import]").await;
    chooser.choose("Import models", &elsewhere.join("mine.gguf")).await;
    desktop.wait_for_transfer("done").await;
    let card = desktop.card_of("mine").await;
    assert_eq!(files_of(&data), ["mine.gguf"]);
    assert!(elsewhere.join("mine.gguf").is_file(), "what is imported is copied");
    desktop.click("[data-testid=transfer-dismiss]").await;
    desktop.wait_for("no transfer", || async { desktop.count(TRANSFER).await == 0 }).await;

    desktop.run_script(&format!("document.querySelector(`{card} [data-testid=model-menu]`).focus()")).await;
    desktop.press(&[crate::talk::F2]).await;
    desktop.find("[data-testid=model-name-field]").await;
    desktop.write("yours").await;
    desktop.press(&[ENTER]).await;
    desktop.card_of("yours").await;
    assert_eq!(files_of(&data), ["yours.gguf"]);

    desktop.choose_from_menu("yours", "menu-delete").await;
    desktop.wait_for_shown("[data-testid=model-question]", "frees 1\u{a0}MB").await;
    desktop.save_screenshot("models-delete").await;
    desktop.click("[data-testid=question-no]").await;
    desktop.wait_for("no question", || async { !desktop.has("[data-testid=model-question]").await }).await;
    assert_eq!(files_of(&data), ["yours.gguf"]);
    desktop.choose_from_menu("yours", "menu-delete").await;
    desktop.click("[data-testid=question-yes]").await;
    desktop.wait_for("one model less", || async { desktop.count(MODEL).await == 1 }).await;
    assert_eq!(files_of(&data), Vec::<String>::new());
}

#[tokio::test]
async fn files_that_are_let_go_over_the_window_are_imported() {
    let desktop = Desktop::on_cpu(with_catalogue(&[])).await;
    let data = desktop.surroundings().data().to_path_buf();
    let elsewhere = data.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let (file, letter) = (elsewhere.join("dragged.gguf"), elsewhere.join("letter.txt"));
    std::fs::write(&file, model(1)).unwrap();
    std::fs::write(&letter, "Dear Ada,").unwrap();
    let window = Screen::of(desktop.surroundings()).window().await;
    let zone = "[data-testid=drop-zone]";

    // A drag that only passes leaves nothing behind, on the page of the chat as well.
    let drag = Drag::begin(desktop.surroundings(), window, vec![letter.clone()]);
    desktop.wait_for("the refusal of a letter", || held(&desktop, &drag, "[data-models='0']")).await;
    drag.leave();
    desktop.wait_for("no zone", || async { desktop.count(zone).await == 0 }).await;

    let drag = Drag::begin(desktop.surroundings(), window, vec![file.clone(), letter]);
    desktop.wait_for("the zone", || held(&desktop, &drag, "[data-models='1']")).await;
    desktop.save_screenshot("models-drop").await;
    drag.drop_files();
    desktop
        .wait_for("the page of models", || async {
            drag.answer();
            desktop.count("[data-testid=models]").await == 1
        })
        .await;
    assert_eq!(desktop.count(zone).await, 0);
    desktop.wait_for_transfer("done").await;
    desktop.card_of("dragged").await;
    assert_eq!(files_of(&data), ["dragged.gguf"]);
    assert!(file.is_file(), "what is imported is copied");
}

/// Holds files over the middle of the window, and tells whether it shows what it would do with them.
async fn held(desktop: &Desktop, drag: &Drag, shown: &str) -> bool {
    drag.hold((500, 400));
    desktop.count(&format!("[data-testid=drop-zone]{shown}")).await == 1
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_in_words() {
    let desktop = Desktop::on_cpu(with_catalogue(&[])).await;
    let file = desktop.surroundings().data().join("letter.gguf");
    std::fs::write(&file, "Dear Ada,").unwrap();
    desktop.open_models().await;
    desktop.click("[data-testid=import]").await;
    Chooser::of(desktop.surroundings()).choose("Import models", &file).await;
    desktop.find("[data-testid=problem][data-code=not_gguf]").await;
    desktop.click("[data-testid=dismiss-problem]").await;
    desktop.wait_for("no problem", || async { !desktop.has("[data-testid=problem]").await }).await;
    assert_eq!(files_of(desktop.surroundings().data()), Vec::<String>::new());
}

#[tokio::test]
async fn a_model_that_lies_in_the_folder_is_found_and_chosen_in_the_chat() {
    let desktop = Desktop::on_cpu(with_catalogue(&[])).await;
    let models = desktop.surroundings().data().join("models");
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(crate::page::real_model(), models.join("beside.gguf")).unwrap();
    std::fs::write(models.join("broken.gguf"), "GGUF").unwrap();

    let picker = "[data-testid=model-picker]";
    desktop.wait_for_shown(picker, "SmolLM2").await;
    // The library watches its folder; the menu shows what it has found so far.
    desktop
        .wait_for("three models in the menu", || async {
            desktop.click(picker).await;
            desktop.find("[data-testid=more-models]").await;
            let found = desktop.count("[data-testid=pick-model]").await == 3;
            if !found {
                desktop.press(&[ESCAPE]).await;
                desktop.wait_for("a closed menu", || async { !desktop.has("[data-testid=more-models]").await }).await;
            }
            found
        })
        .await;
    desktop.save_screenshot("models-picker").await;
    let broken = desktop.texts("[data-testid=pick-model][aria-disabled=true]").await;
    assert!(broken.len() == 1 && broken[0].contains("broken"), "{broken:?}");
    desktop.click("[data-testid=pick-model][data-id$='beside.gguf']").await;
    desktop.wait_for_shown(picker, "beside").await;
    desktop.find(READY).await;

    desktop.click(picker).await;
    desktop.click("[data-testid=more-models]").await;
    desktop.find("[data-testid=models]").await;
    // The model in use can be deleted too: Workly goes back to its own.
    desktop.choose_from_menu("beside", "menu-delete").await;
    desktop.wait_for_shown("[data-testid=model-question]", "goes back").await;
    desktop.click("[data-testid=question-yes]").await;
    desktop.click("[data-testid=page-chat]").await;
    desktop.wait_for_shown(picker, "SmolLM2").await;
    desktop.find(READY).await;
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_cancelled_and_the_model_before_comes_back() {
    // The second worker never gets its model loaded.
    let surroundings = with_catalogue(&[]).with("WORKLY_FAULT", "none,hang@load");
    let models = surroundings.data().join("models");
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(crate::page::real_model(), models.join("slow.gguf")).unwrap();
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.open_models().await;
    let card = desktop.card_of("slow").await;
    desktop.click(&format!("{card} [data-testid=use-model]")).await;
    desktop.click("[data-testid=page-chat]").await;
    desktop.find("[data-testid=model-state][data-state=loading]").await;
    desktop.wait_for_shown("[data-testid=model-picker]", "slow").await;
    desktop.save_screenshot("models-loading").await;
    desktop.click("[data-testid=cancel-load]").await;
    desktop.find(READY).await;
    desktop.wait_for_shown("[data-testid=model-picker]", "SmolLM2").await;
    assert!(!desktop.ask("Say hello.").await.trim().is_empty());
}

#[tokio::test]
async fn a_model_chosen_during_an_answer_follows_it_and_can_be_given_up() {
    // The second worker never gets its model loaded.
    let surroundings = with_catalogue(&[]).with("WORKLY_FAULT", "none,hang@load");
    let models = surroundings.data().join("models");
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(crate::page::real_model(), models.join("slow.gguf")).unwrap();
    let desktop = Desktop::on_cpu(surroundings).await;
    desktop.send(LONG).await;
    desktop.wait_for_text().await;
    desktop.open_models().await;
    let card = desktop.card_of("slow").await;
    desktop.click(&format!("{card} [data-testid=use-model]")).await;
    desktop.click("[data-testid=page-chat]").await;
    // The answer goes on; the model that was chosen waits for its end.
    let before = desktop.last_text(ANSWER).await;
    desktop.wait_for("more text", || async { desktop.last_text(ANSWER).await.len() > before.len() }).await;
    desktop.stop_after_first_words().await;
    desktop.find("[data-testid=model-state][data-state=loading]").await;
    desktop.click("[data-testid=cancel-load]").await;
    desktop.find(READY).await;
    desktop.wait_for_shown("[data-testid=model-picker]", "SmolLM2").await;
    assert!(!desktop.ask("Say hello.").await.trim().is_empty());
}
